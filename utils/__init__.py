"""What every role may use. Nothing here imports a role."""
