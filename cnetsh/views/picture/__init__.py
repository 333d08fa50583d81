"""A network as a picture: segments and containers, in ASCII, Mermaid, dot and SVG."""
