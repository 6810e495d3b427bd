"""The edge to Prefect: a session that translates errors, batch readers and the gateway that carries plans out."""
