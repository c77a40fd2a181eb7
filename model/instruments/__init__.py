"""Networks that others trained on real faces and give away freely: what measures real people without a registration."""
