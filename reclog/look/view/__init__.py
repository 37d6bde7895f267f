"""A page on 127.0.0.1 with every recording of this machine. Needs the extra `view`: starlette and uvicorn."""
