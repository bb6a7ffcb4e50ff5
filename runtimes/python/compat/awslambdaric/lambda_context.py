"""The types of the context that handlers get; for annotations and isinstance()."""

from _samovar_context import Client, ClientContext, CognitoIdentity, LambdaContext

__all__ = ["Client", "ClientContext", "CognitoIdentity", "LambdaContext"]
