#!/usr/bin/env python
"""Classify handwritten digits with a small neural network; the data come with scikit-learn.

    orion-k8s hunt -n digits --max-trials 20 \
        python examples/train.py --lr~'loguniform(1e-4, 1)' --hidden~'randint(8, 65)'
"""

import argparse
import warnings

from orion.client import report_results
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x / 16, y, random_state=0)
    model = MLPClassifier(
        hidden_layer_sizes=(args.hidden,),
        learning_rate_init=args.lr,
        max_iter=args.epochs,
        random_state=0,
    )
    with warnings.catch_warnings():
        # Few epochs are the point of a search.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x_train, y_train)
    report_results(
        [
            {"name": "error rate", "type": "objective", "value": 1 - model.score(x_test, y_test)},
            {"name": "training loss", "type": "statistic", "value": model.loss_},
        ]
    )


if __name__ == "__main__":
    main()
