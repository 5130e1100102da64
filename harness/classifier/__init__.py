"""Classifiers of texts without a language model: the reference that stands beside the arms."""

from harness.classifier.text_classifier import TextClassifier, fit_classifier

__all__ = ["TextClassifier", "fit_classifier"]
