"""Several processes and devices that train as one."""
