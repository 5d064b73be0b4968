/** The registry's words, as container runtimes pass them on. */
export function imageReason(message: string): 'image_not_found' | 'image_auth_failed' | 'image_pull_failed' {
  // Some registries answer "does not exist, or no access" to both; a mistyped name is the likelier of the two.
  if (/does not exist/i.test(message)) return 'image_not_found';
  if (
    /unauthorized|authentication required|authorization failed|access denied|denied:|no basic auth|40[13]\b|forbidden/i.test(
      message,
    )
  )
    return 'image_auth_failed';
  if (/not ?found|manifest unknown|name unknown|does not exist|no such (image|host)|invalid reference/i.test(message))
    return /no such host/i.test(message) ? 'image_pull_failed' : 'image_not_found';
  return 'image_pull_failed';
}
