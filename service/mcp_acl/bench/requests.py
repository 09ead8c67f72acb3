"""Questions as the bytes of each interface. Knows no workload; the one module here that knows protobuf."""
