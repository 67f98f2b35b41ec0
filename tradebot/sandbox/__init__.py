"""An exchange to rehearse against."""
