"""The paper's network: guidance rendered from heads, and the generator that warps progressively."""
