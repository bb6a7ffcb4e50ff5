"""FaultException, the base of the errors that the runtime names."""

from _samovar_log import Fault as FaultException

__all__ = ["FaultException"]
