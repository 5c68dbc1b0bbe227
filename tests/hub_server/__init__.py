"""A strict local server that speaks the Hugging Face Hub's protocol, for tests with the real, unmodified client.

    def test_something(hub):
        hub.create("alice/zoo", {"README.md": b"..."}, private=True)   # behind the client's back
        hub.api("alice").upload_folder(...)                            # the real client, as a user
        hub.faults.cut("*masks.safetensors", after=1000)               # misbehave
        hub.run("ticketzoo", "pull", "alice/zoo", user="bob")          # another process, with a cache of its own
        assert hub.repo("alice/zoo").files()["README.md"] == ...       # look inside
        assert len(hub.calls("POST", "*/commit/*")) == 1               # what was asked

`tests/conftest.py` calls `hub_server.environment.prepare()` before anything imports `huggingface_hub`, then imports the
`hub` fixture from `hub_server.fixtures`. The client of the test process then has this server as its only endpoint.

Strict: what the Hub refuses is refused with the Hub's status, error code and words (from its documentation, from the
client's own tests and from answers people have published), and a request for anything this server does not know fails
the test. It differs from the Hub, knowingly, in this:

- LFS only, in one part; no Xet. No Spaces, kernels or buckets.
- A 401 for a hidden or missing repository has the error code `RepoNotFound`: see `Call.unauthenticated`.
- `resolve` serves small files itself, without the Hub's extra redirect within its own origin.
- Search matches substrings of the id, and nothing trends.
- A file that should be LFS and is committed as a regular one is always refused.
- Repositories are found in any spelling of their id's case, without a redirect to the right one.
"""
