/** GraphiQL loads parts of itself when they are used; after an upgrade of the server those of an open tab may be gone. */
export function sayWhenOutdated(): void {
  addEventListener('vite:preloadError', () => {
    if (document.querySelector('.outdated')) return;
    const notice = document.createElement('p');
    notice.className = 'outdated';
    notice.setAttribute('role', 'alert');
    notice.textContent = 'A part of GraphiQL could not be loaded: the server was upgraded, or the network is away. Reload this page; your tabs stay.';
    document.body.prepend(notice);
  });
}
