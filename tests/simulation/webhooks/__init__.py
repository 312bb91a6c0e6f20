"""Webhooks: who delivers, retries, holds, drains and replays, and whom they meet."""
