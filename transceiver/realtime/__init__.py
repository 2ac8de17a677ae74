"""The Realtime protocol: its events, its dialects, and the bridge between a caller and a backend that speaks it."""
