"""What the dashboard and the command line do, without a user interface and without torch."""
