"""The closed set of what the provider refuses, and how each refusal reads.

The wire shows the standard's coarse `error`; the ledger keeps the reason, so that a test can say
which rule it met.
"""

# ruff: noqa: S105 -- the reasons are named after tokens and are none

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Reason(StrEnum):
    """Why not."""

    NOT_A_FORM = "not_a_form"
    BODY_TOO_LARGE = "body_too_large"
    PARAMETER_REPEATED = "parameter_repeated"
    PARAMETER_MISSING = "parameter_missing"
    CLIENT_AUTHENTICATION_MISSING = "client_authentication_missing"
    CLIENT_AUTHENTICATION_TWICE = "client_authentication_twice"
    CLIENT_AUTHENTICATION_METHOD = "client_authentication_method"
    CLIENT_AUTHENTICATION_WRONG = "client_authentication_wrong"
    ASSERTION_TYPE = "assertion_type"
    ASSERTION_MALFORMED = "assertion_malformed"
    ASSERTION_ALG = "assertion_alg"
    ASSERTION_TYP = "assertion_typ"
    ASSERTION_KEY = "assertion_key"
    ASSERTION_SIGNATURE = "assertion_signature"
    ASSERTION_ISS_SUB = "assertion_iss_sub"
    ASSERTION_AUD = "assertion_aud"
    ASSERTION_TIMES = "assertion_times"
    ASSERTION_JTI = "assertion_jti"
    ASSERTION_REPLAYED = "assertion_replayed"
    CERTIFICATE_WRONG = "certificate_wrong"
    DPOP_MISSING = "dpop_missing"
    DPOP_MALFORMED = "dpop_malformed"
    DPOP_HEADER = "dpop_header"
    DPOP_SIGNATURE = "dpop_signature"
    DPOP_TARGET = "dpop_target"
    DPOP_TIME = "dpop_time"
    DPOP_ATH = "dpop_ath"
    DPOP_REPLAYED = "dpop_replayed"
    DPOP_NONCE = "dpop_nonce"
    DPOP_ANOTHER_KEY = "dpop_another_key"
    GRANT_TYPE_UNSUPPORTED = "grant_type_unsupported"
    CODE_UNKNOWN = "code_unknown"
    CODE_EXPIRED = "code_expired"
    CODE_REPLAYED = "code_replayed"
    CODE_OF_ANOTHER_CLIENT = "code_of_another_client"
    CODE_REDIRECT_URI = "code_redirect_uri"
    CODE_VERIFIER = "code_verifier"
    REFRESH_TOKEN_UNKNOWN = "refresh_token_unknown"
    REFRESH_TOKEN_EXPIRED = "refresh_token_expired"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    REFRESH_TOKEN_OF_ANOTHER_CLIENT = "refresh_token_of_another_client"
    GRANT_REVOKED = "grant_revoked"
    SCOPE_WIDENED = "scope_widened"
    TOKEN_OF_ANOTHER_CLIENT = "token_of_another_client"
    BEARER_MISSING = "bearer_missing"
    BEARER_INVALID = "bearer_invalid"
    CLIENT_UNKNOWN = "client_unknown"
    REDIRECT_URI_UNREGISTERED = "redirect_uri_unregistered"
    RESPONSE_TYPE = "response_type"
    RESPONSE_MODE = "response_mode"
    CODE_CHALLENGE = "code_challenge"
    CODE_CHALLENGE_METHOD = "code_challenge_method"
    SCOPE_WITHOUT_OPENID = "scope_without_openid"
    SCOPE_UNKNOWN = "scope_unknown"
    PROMPT_UNKNOWN = "prompt_unknown"
    PROMPT_NONE_NOT_ALONE = "prompt_none_not_alone"
    MAX_AGE = "max_age"
    REQUEST_OBJECT = "request_object"
    REQUEST_URI = "request_uri"
    PUSH_REQUIRED = "push_required"
    PUSHED_FOR_ANOTHER = "pushed_for_another"
    REQUEST_URI_NOT_ALONE = "request_uri_not_alone"
    REQUEST_URI_UNKNOWN = "request_uri_unknown"
    REQUEST_URI_OF_ANOTHER = "request_uri_of_another"
    REQUEST_URI_EXPIRED = "request_uri_expired"
    RESOURCE = "resource"
    RESOURCE_WIDENED = "resource_widened"
    TARGET_UNKNOWN = "target_unknown"
    TOKEN_TYPE = "token_type"
    SUBJECT_TOKEN = "subject_token"
    ID_TOKEN_HINT = "id_token_hint"
    LOGIN_REQUIRED = "login_required"
    CONSENT_REQUIRED = "consent_required"
    ACCESS_DENIED = "access_denied"
    TICKET_UNKNOWN = "ticket_unknown"
    FORM_OF_ANOTHER_SITE = "form_of_another_site"
    PERSON_CHANGED = "person_changed"
    ACCOUNT_UNKNOWN = "account_unknown"
    CLIENT_OF_ANOTHER_HINT = "client_of_another_hint"
    HINT_UNKNOWN = "hint_unknown"
    POST_LOGOUT_REDIRECT_URI = "post_logout_redirect_uri"


class Answer(NamedTuple):
    """What the peer is told."""

    status: int
    error: str
    description: str


def _bad(error: str, description: str) -> Answer:
    return Answer(400, error, description)


def _nobody(description: str) -> Answer:
    return Answer(401, "invalid_client", description)


def _unproven(description: str) -> Answer:
    return _bad("invalid_dpop_proof", description)


ANSWERS: Final[Mapping[Reason, Answer]] = {
    Reason.NOT_A_FORM: _bad("invalid_request", "Send application/x-www-form-urlencoded"),
    Reason.BODY_TOO_LARGE: Answer(413, "invalid_request", "The body is larger than 64 KiB"),
    Reason.PARAMETER_REPEATED: _bad("invalid_request", "A parameter was sent twice"),
    Reason.PARAMETER_MISSING: _bad("invalid_request", "A required parameter is missing"),
    Reason.CLIENT_AUTHENTICATION_MISSING: Answer(401, "invalid_client", "Authenticate the client"),
    Reason.CLIENT_AUTHENTICATION_TWICE: _bad("invalid_request", "Authenticate in one way only"),
    Reason.CLIENT_AUTHENTICATION_METHOD: Answer(
        401, "invalid_client", "This client is registered for another method"
    ),
    Reason.CLIENT_AUTHENTICATION_WRONG: Answer(401, "invalid_client", "Unknown client or secret"),
    Reason.ASSERTION_TYPE: _nobody("client_assertion_type is not the one of RFC 7523"),
    Reason.ASSERTION_MALFORMED: _nobody("client_assertion is no JWT"),
    Reason.ASSERTION_ALG: _nobody("Sign with PS256, ES256 or EdDSA"),
    Reason.ASSERTION_TYP: _nobody("typ is client-authentication+jwt"),
    Reason.ASSERTION_KEY: _nobody("No such key is registered for the client"),
    Reason.ASSERTION_SIGNATURE: _nobody("The signature is not that key's"),
    Reason.ASSERTION_ISS_SUB: _nobody("iss and sub are the client_id"),
    Reason.ASSERTION_AUD: _nobody("aud is one plain string, and names us"),
    Reason.ASSERTION_TIMES: _nobody("iat and exp are needed, a minute apart at most, and now"),
    Reason.ASSERTION_JTI: _nobody("jti is needed, and hard to guess"),
    Reason.ASSERTION_REPLAYED: _nobody("This assertion was used before"),
    Reason.CERTIFICATE_WRONG: _nobody("This is not the client's certificate"),
    Reason.DPOP_MISSING: _unproven("One DPoP proof is needed"),
    Reason.DPOP_MALFORMED: _unproven("The proof is no JWT"),
    Reason.DPOP_HEADER: _unproven("typ dpop+jwt, alg ES256 and a public jwk are needed"),
    Reason.DPOP_SIGNATURE: _unproven("The signature is not that of its jwk"),
    Reason.DPOP_TARGET: _unproven("htm and htu are not of this request"),
    Reason.DPOP_TIME: _unproven("iat is not now"),
    Reason.DPOP_ATH: _unproven("ath is not the hash of the token"),
    Reason.DPOP_REPLAYED: _unproven("jti is missing, or was used before"),
    Reason.DPOP_NONCE: _bad("use_dpop_nonce", "The newest nonce is needed in the proof"),
    Reason.DPOP_ANOTHER_KEY: _unproven("Bound to another key"),
    Reason.GRANT_TYPE_UNSUPPORTED: _bad("unsupported_grant_type", "No such grant type here"),
    Reason.CODE_UNKNOWN: _bad("invalid_grant", "No such code"),
    Reason.CODE_EXPIRED: _bad("invalid_grant", "The code has expired"),
    Reason.CODE_REPLAYED: _bad(
        "invalid_grant", "The code was used before; all that it issued is revoked"
    ),
    Reason.CODE_OF_ANOTHER_CLIENT: _bad("invalid_grant", "The code belongs to another client"),
    Reason.CODE_REDIRECT_URI: _bad("invalid_grant", "redirect_uri is not the one of the request"),
    Reason.CODE_VERIFIER: _bad("invalid_grant", "code_verifier does not match code_challenge"),
    Reason.REFRESH_TOKEN_UNKNOWN: _bad("invalid_grant", "No such refresh token"),
    Reason.REFRESH_TOKEN_EXPIRED: _bad("invalid_grant", "The refresh token has expired"),
    Reason.REFRESH_TOKEN_REUSED: _bad(
        "invalid_grant", "The refresh token was used before; the grant is revoked"
    ),
    Reason.REFRESH_TOKEN_OF_ANOTHER_CLIENT: _bad(
        "invalid_grant", "The refresh token belongs to another client"
    ),
    Reason.GRANT_REVOKED: _bad("invalid_grant", "The grant is revoked"),
    Reason.SCOPE_WIDENED: _bad("invalid_scope", "More scope than was granted"),
    Reason.TOKEN_OF_ANOTHER_CLIENT: _bad("unauthorized_client", "Another client's token"),
    Reason.BEARER_MISSING: Answer(401, "", "Send one access token in the Authorization header"),
    Reason.BEARER_INVALID: Answer(401, "invalid_token", "The access token is not valid"),
    Reason.CLIENT_UNKNOWN: _bad("invalid_request", "No client of this client_id is registered"),
    Reason.REDIRECT_URI_UNREGISTERED: _bad(
        "invalid_request", "This redirect_uri is not registered, octet for octet, for the client"
    ),
    Reason.RESPONSE_TYPE: _bad("unsupported_response_type", "Only response_type=code"),
    Reason.RESPONSE_MODE: _bad("invalid_request", "Only response_mode=query"),
    Reason.CODE_CHALLENGE: _bad("invalid_request", "A code_challenge of 43 characters is required"),
    Reason.CODE_CHALLENGE_METHOD: _bad("invalid_request", "Only code_challenge_method=S256"),
    Reason.SCOPE_WITHOUT_OPENID: _bad("invalid_scope", "The scope must contain openid"),
    Reason.SCOPE_UNKNOWN: _bad("invalid_scope", "The client may not ask for this scope"),
    Reason.PROMPT_UNKNOWN: _bad("invalid_request", "Unknown prompt"),
    Reason.PROMPT_NONE_NOT_ALONE: _bad("invalid_request", "prompt=none stands alone"),
    Reason.MAX_AGE: _bad("invalid_request", "max_age is a number of seconds"),
    Reason.REQUEST_OBJECT: _bad("request_not_supported", "No request objects here"),
    Reason.REQUEST_URI: _bad("request_uri_not_supported", "No request_uri here"),
    Reason.PUSH_REQUIRED: _bad("invalid_request", "Push the request first"),
    Reason.PUSHED_FOR_ANOTHER: _bad("invalid_request", "client_id is not who authenticated"),
    Reason.REQUEST_URI_NOT_ALONE: _bad("invalid_request", "Only client_id goes with request_uri"),
    Reason.REQUEST_URI_UNKNOWN: _bad("invalid_request_uri", "No such request, or none any more"),
    Reason.REQUEST_URI_OF_ANOTHER: _bad("invalid_request_uri", "Another client pushed this"),
    Reason.REQUEST_URI_EXPIRED: _bad("invalid_request_uri", "The request was pushed too long ago"),
    Reason.RESOURCE: _bad("invalid_target", "resource is an absolute URI without a fragment"),
    Reason.TARGET_UNKNOWN: _bad("invalid_target", "No API of that name"),
    Reason.TOKEN_TYPE: _bad("invalid_request", "Only access tokens are exchanged, for their like"),
    # RFC 8693 §2.2.2: not invalid_grant.
    Reason.SUBJECT_TOKEN: _bad("invalid_request", "subject_token is not good"),
    Reason.RESOURCE_WIDENED: _bad("invalid_target", "A resource that was not asked for at first"),
    Reason.ID_TOKEN_HINT: _bad("invalid_request", "id_token_hint was not issued here"),
    Reason.LOGIN_REQUIRED: _bad("login_required", "Nobody suitable is signed in"),
    Reason.CONSENT_REQUIRED: _bad("consent_required", "The person has not agreed yet"),
    Reason.ACCESS_DENIED: _bad("access_denied", "The person said no"),
    Reason.TICKET_UNKNOWN: _bad("invalid_request", "This page was used already. Start again"),
    Reason.FORM_OF_ANOTHER_SITE: Answer(403, "invalid_request", "This form is not ours"),
    Reason.PERSON_CHANGED: _bad("invalid_request", "Somebody else has signed in meanwhile"),
    Reason.ACCOUNT_UNKNOWN: _bad("invalid_request", "No such account"),
    Reason.CLIENT_OF_ANOTHER_HINT: _bad(
        "invalid_request", "client_id is not the audience of id_token_hint"
    ),
    Reason.HINT_UNKNOWN: _bad("invalid_request", "id_token_hint means nothing here"),
    Reason.POST_LOGOUT_REDIRECT_URI: _bad(
        "invalid_request", "This post_logout_redirect_uri is not registered for the client"
    ),
}


class Refused(Exception):
    """The request is refused for one reason; the text is in `ANSWERS`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason

    @property
    def answer(self) -> Answer:
        """Status, error and description for the peer."""
        return ANSWERS[self.reason]
