import pytest

GUIDE = """# Cache guide

The cache keeps the answers of slow requests near the caller. It holds them for an hour and then
asks again. Its size is set in the config, and the oldest entry goes first when there is no room for another one.

## Cache

The cache is a key-value store that lies beside the gateway. It answers in a millisecond. Configure it with:

```yaml
cache:
  size_mb: 64
```

## Eviction

An entry leaves the cache for one of several reasons, and the metrics say which one it was each time it happens:

- its time to live of one hour is over
- the memory of the cache is full
- somebody purged it by hand, see [purging](purge.md)

## Setup

Start the cache on the same machine as the gateway, with the size that the config gives:

```bash
cache --config cache.yaml
```

## TL;DR

- the cache keeps answers of slow requests for an hour
- it lies beside the gateway

## See also

- [The gateway in depth](gateway.md)
- [The scheduler in depth](scheduler.md)
- [The loader in depth](loader.md)
"""


@pytest.fixture
def guide() -> str:
    return GUIDE
