"""`python -m labkeeper_operator`: the operator as its image starts it."""

import logging

from labkeeper_operator.main import run
from labkeeper_operator.settings import OperatorSettings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run(OperatorSettings())
