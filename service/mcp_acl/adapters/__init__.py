"""Wire to domain and back: protobuf messages, status codes. The only floor that knows protobuf."""
