"""What is made of a ledger and its maps alone: pictures and what they stand in."""
