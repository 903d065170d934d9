"""The mouth: what is said over HTTP. A handler takes the house and a request and returns a value; it parses, calls one hand, and shows."""
