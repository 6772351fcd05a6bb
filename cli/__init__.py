"""`govern`, the personas' command line. It acts only through public AWS APIs."""
