"""Whether there is a newer version: a signed list, asked for at most once a day. Nothing is ever installed.

`minisign` checks the signature, `listing` what the list says, `watch` fetches it at a quiet moment. The
address and the key come with a release (resources/release-list.json); without them nobody is asked.
"""
