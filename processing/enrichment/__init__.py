"""What an event says of its sender and its way here, as columns: device, bot evidence, medium, campaign."""
