"""Finds the ImageNet file that ``model.weights`` names, and downloads it from GluonCV's model zoo for "zoo"."""

import os
import zipfile
from pathlib import Path

import portalocker
import requests
from gluoncv.model_zoo import model_store
from gluoncv.utils import check_sha1

from gluon_madapt.errors import UserError
from gluon_madapt.weights.imagenet import CLASSIFIERS, require_classifier

# Seconds for the zoo's server to answer.
_TIMEOUT = 20
# What GluonCV's download raises: no connection or no space, no such file, a hash that differs, no archive.
_FAILURES = (OSError, RuntimeError, ValueError, UserWarning, zipfile.BadZipFile, portalocker.LockException)


def imagenet_file(encoder: str, weights: str) -> Path:
    """Return the file of the encoder's ImageNet weights, after fetching it where ``weights`` is "zoo".

    Raises
    ------
    UserError
        If there is no such file, if it cannot be fetched, or if there is none for this encoder.
    """
    require_classifier(encoder, weights)
    if weights == "zoo":
        return _zoo_file(CLASSIFIERS[encoder].__name__)
    path = Path(weights)
    if not path.is_file():
        raise UserError(f"model.weights = {path}: no such file: see pretrained/README.md for where to get it")
    return path


def _zoo_file(name: str) -> Path:
    """Return the zoo's file of a model, checked by GluonCV; it lies in ``pretrained`` or where $MXNET_HOME says."""
    root = Path(os.environ["MXNET_HOME"], "models") if "MXNET_HOME" in os.environ else Path("pretrained")
    digest = model_store.short_hash(name)
    path = root / f"{name}-{digest}.params"
    server = os.environ.get("MXNET_GLUON_REPO", model_store.apache_repo_url).rstrip("/")
    url = f"{server}/gluon/models/{path.stem}.zip"
    try:
        if not (path.is_file() and check_sha1(str(path), digest)):
            # GluonCV's own request would wait for ever for a server that never answers.
            requests.head(url, timeout=_TIMEOUT)
        return Path(model_store.get_model_file(name, root=str(root)))
    except _FAILURES as error:
        raise UserError(
            f"model.weights = zoo: {url} cannot be fetched ({type(error).__name__}): "
            f"fetch it where there is a network, and put {path.name}, which is in it, into {root}/"
        ) from None
