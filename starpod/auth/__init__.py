"""Who is calling: users, keys, sign-ins, limits and the checks against foreign pages. It knows no HTTP."""
