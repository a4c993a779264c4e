"""The HTML pages: each is a function of the site and a request, with a template in templates/."""
