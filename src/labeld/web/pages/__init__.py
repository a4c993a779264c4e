"""The pages for people: each is a function of the site and a request, and a template beside it."""
