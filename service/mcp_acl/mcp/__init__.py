"""The protocol: what messages are, what they ask for, what their results hold."""
