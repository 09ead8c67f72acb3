"""Where the core meets the world: directories, clocks, the gate."""
