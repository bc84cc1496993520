"""The engine as gRPC serves it: messages in, messages out, over a socket or in process."""
