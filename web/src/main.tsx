import { render } from 'preact';
import { takeTokenFromAddress } from './api/token.ts';
import { followAddress } from './state/route.ts';
import { session } from './state/session.ts';
import './style.css';
import { App } from './ui/app.tsx';

takeTokenFromAddress();
followAddress();
render(<App />, document.getElementById('app') ?? document.body);
window.addEventListener('hashchange', () => {
  // A link with another token, opened in the same tab.
  const before = location.hash;
  takeTokenFromAddress();
  if (location.hash !== before) void session.check(); // tells its outcome in the session's state
});
void session.check(); // tells its outcome in the session's state
