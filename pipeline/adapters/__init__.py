"""One room a method: what stands between clips and its network, and what its release looks like."""
