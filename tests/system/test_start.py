"""What the package puts off when MXNet is imported, and gives as soon as it is asked for."""

import subprocess
import sys

import pytest

BEGIN = "import sys, gluon_madapt.stages\nassert 'scipy.optimize' not in sys.modules\n"


@pytest.mark.parametrize(
    "code",
    [
        "import scipy.stats; scipy.stats.norm.cdf",
        "from scipy import stats; stats.norm.cdf",
        "from scipy.stats import norm; norm.cdf",
        "import scipy.stats.distributions as of; of.norm.cdf; import scipy.stats; scipy.stats.sem",
        "import mxnet; mxnet.contrib.quantization.stats.entropy; mxnet.test_utils.ss.norm.cdf",
    ],
)
def test_scipys_statistics_are_loaded_when_one_of_them_is_wanted(code):
    subprocess.run([sys.executable, "-c", BEGIN + code], check=True)
