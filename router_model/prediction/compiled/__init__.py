"""Predict by compiled code, many times as fast as `router_model.prediction.predictor`, and with the same result.

The code with numpy and LightGBM remains the reference. It answers where the extension module `_native` was not built,
because there was no C compiler, and for predictors that the module does not cover.
"""
