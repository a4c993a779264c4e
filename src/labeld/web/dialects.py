"""Every dialect that is served, besides the hosted API's own text-classification."""

from labeld.protocol.dialects import rerank, zero_shot

DIALECTS = (*rerank.DIALECTS, *zero_shot.DIALECTS)
