"""What a failed TLS handshake means for a person: which setting names what is missing."""

import ssl

_ANOTHER_HOST = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


def untrusted(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The refused certificate behind an error, if there is one; redis-py leaves it in the context of its own."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def reason(error: BaseException, trust: str) -> str:
    """What an error says, in one line; of TLS, also what to do about it.

    trust: what names the file of the CA that is trusted, as people write it.
    """
    refused = untrusted(error)
    if refused is not None and refused.verify_code in _ANOTHER_HOST:
        return f"the server's certificate is for another name ({refused.verify_message}): connect by one that is in it"
    if refused is not None:
        return (
            f"the server's certificate is not trusted ({refused.verify_message}): {trust} must name the file of its CA"
        )
    said = str(error) or type(error).__name__
    if "rejected SSL upgrade" in said:  # asyncpg's, of a server that answers N
        return f"{said}: it has no TLS, which sslmode in DATABASE_URI asks for"
    return said
