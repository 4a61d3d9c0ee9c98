"""Train a small neural network on the handwritten digits that ship with scikit-learn.

It is an ordinary program: it takes its hyperparameters as arguments, and says how well it did by
one call at its end. Run by hand it prints the result: `python train.py --lr 0.01`.
"""

from __future__ import annotations

import argparse
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

from orion_k8s.client import report_objective


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--alpha", type=float, default=1e-4, help="strength of the L2 penalty")
    parser.add_argument("--hidden", type=int, default=32, help="units of the hidden layer")
    parser.add_argument("--activation", default="relu", help="relu, tanh or logistic")
    args = parser.parse_args()

    # A few epochs on a part of the data: a trial should take a second here.
    warnings.simplefilter("ignore", ConvergenceWarning)
    images, digits = load_digits(return_X_y=True)
    model = MLPClassifier(
        hidden_layer_sizes=(args.hidden,),
        activation=args.activation,
        alpha=args.alpha,
        learning_rate_init=args.lr,
        batch_size=32,
        max_iter=12,
        random_state=0,
    )
    accuracy = cross_val_score(model, images[:900] / 16, digits[:900], cv=3).mean()
    report_objective(1 - float(accuracy), name="error")


if __name__ == "__main__":
    main()
