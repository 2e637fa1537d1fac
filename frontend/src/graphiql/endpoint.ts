export const httpUrl = '/graphql/';
export const socketUrl = () => new URL(httpUrl, location.href.replace(/^http/, 'ws')).href;
