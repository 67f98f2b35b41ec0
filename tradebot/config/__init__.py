"""What the operator wrote: the validated profile."""
