"""Facts of a model that was built: recorded, traced and probed; needs torch in the process that builds."""
