"""Messages that end the process: found by bisection, set aside."""
