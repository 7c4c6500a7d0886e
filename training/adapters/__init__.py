"""LoRA and its relatives: small changes of a frozen model's layers that are trained, saved and read by other tools."""
