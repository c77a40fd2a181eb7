"""Decoding videos: which frames a file holds, and their pixels."""
