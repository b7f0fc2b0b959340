"""Methods of routing, one family a module; `REGISTRY` names them all."""
