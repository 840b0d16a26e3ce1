"""What the package puts off when MXNet is imported, and gives as soon as it is asked for."""

import subprocess
import sys

import pytest

BEGIN = "import sys, gluon_madapt.stages\nassert 'scipy.optimize' not in sys.modules\n"


@pytest.mark.parametrize(
    "code",
    [
        "from scipy import stats; from scipy.stats import norm; stats.sem, norm.cdf; import scipy.stats as s; s.sem",
        "import scipy.stats.distributions as of; of.norm.cdf; import mxnet; mxnet.contrib.quantization.stats.entropy",
    ],
)
def test_scipys_statistics_are_loaded_when_one_of_them_is_wanted(code):
    subprocess.run([sys.executable, "-c", BEGIN + code], check=True)
