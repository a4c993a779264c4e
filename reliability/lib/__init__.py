"""The parts that checks share."""
