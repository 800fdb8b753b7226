"""Calibration and reports: reads the live schemas through the api, decides nothing live."""
