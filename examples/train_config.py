#!/usr/bin/env python
"""Predict the progression of diabetes; all settings come from a YAML file."""

import argparse

import yaml
from orion.client import report_objective
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    with open(parser.parse_args().config, encoding="utf-8") as file:
        config = yaml.safe_load(file)

    x, y = load_diabetes(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=config["data"]["test_size"], random_state=0
    )
    model = make_pipeline(
        PolynomialFeatures(config["model"]["degree"]),
        StandardScaler(),
        Ridge(alpha=config["model"]["alpha"], fit_intercept=config["model"]["fit_intercept"]),
    )
    model.fit(x_train, y_train)
    report_objective(mean_squared_error(y_test, model.predict(x_test)), name="squared error")


if __name__ == "__main__":
    main()
